"""Klein for HTTP APIs: mounting, JSON errors, body limits, the admin listener."""
