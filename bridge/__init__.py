"""Reports MongooseIM's system metrics to Google Analytics 4 from outside the cluster."""

__version__ = "0.1.0"
