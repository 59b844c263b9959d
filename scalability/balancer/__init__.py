"""scalelab-lb: the load balancer."""
