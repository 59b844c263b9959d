"""scalelab: event-driven network servers on Twisted: balancer, gateway, cache, queue and the lab that drives them."""
