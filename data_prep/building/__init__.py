"""Making shards: the plan, who works, and putting finished shards in their place."""
