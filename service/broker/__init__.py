"""Redis, Sentinel or RabbitMQ: how each is reached, and how many messages wait there."""
