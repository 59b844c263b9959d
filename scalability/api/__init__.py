"""Klein for HTTP APIs: mounting, JSON errors, body limits, the admin listener.

Imports Klein, and with it the global reactor: import this room inside ``makeService`` only.
"""
