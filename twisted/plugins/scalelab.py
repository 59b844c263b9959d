"""What ``twistd`` lists. Only names: whatever a plugin imports here would be imported by every run of twistd."""

from twisted.application.service import ServiceMaker

scalelab = ServiceMaker("scalelab", "scalability.lab.tap", "The whole lab, each server a process of its own.", "scalelab")
balancer = ServiceMaker("scalelab-lb", "scalability.balancer.tap", "Load balancer: a streaming HTTP/1.1 reverse proxy.", "scalelab-lb")
gateway = ServiceMaker("scalelab-gateway", "scalability.gateway.tap", "API gateway with a look-aside cache.", "scalelab-gateway")
cache = ServiceMaker("scalelab-cache", "scalability.cache.tap", "Cache server: bounded entries that expire.", "scalelab-cache")
database = ServiceMaker("scalelab-database", "scalability.database.tap", "Records over HTTP, on SQLite.", "scalelab-database")
microservice = ServiceMaker(
    "scalelab-microservice", "scalability.microservice.tap", "Business service with a known cost.", "scalelab-microservice"
)
worker = ServiceMaker("scalelab-worker", "scalability.worker.tap", "Durable task queue and its runner.", "scalelab-worker")
