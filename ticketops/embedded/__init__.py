"""PostgreSQL, Valkey and Kafka from wheels: for the demo, `ticketops dev`, the tests and the benchmarks."""
