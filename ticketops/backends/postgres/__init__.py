"""PostgreSQL: psycopg where speed counts, SQLAlchemy Core elsewhere."""
