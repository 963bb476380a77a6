"""A local endpoint that checks events as the validator of GA4 does and keeps what arrives."""
