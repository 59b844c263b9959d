"""scalelab-lb on several cores: processes that share the listening socket, and one that watches over them and decides."""
