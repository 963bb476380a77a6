"""Which questions to ask a MongooseIM node, what the answers mean, and which names may leave."""
