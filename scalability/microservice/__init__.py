"""scalelab-microservice: business work with known cost."""
