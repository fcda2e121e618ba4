"""Operations, audit, holds, archive and ledger on SQLAlchemy: PostgreSQL, or a local SQLite file."""
