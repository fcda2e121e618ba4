"""What the tests share: engines, databases, topics, a TCP proxy and polling."""
