-- A database as the booking service's own migrations leave it, with rows; from the wire contract.
CREATE SCHEMA booking;
CREATE TABLE booking.flyway_schema_history (
  installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL, success boolean NOT NULL
);
INSERT INTO booking.flyway_schema_history VALUES (1, '1', 'init', true), (2, '2', 'outbox', true);

CREATE TABLE booking.bookings (
  id bigserial PRIMARY KEY,
  booking_id uuid NOT NULL UNIQUE,
  booking_reference varchar(50) NOT NULL UNIQUE,
  user_id varchar(36) NOT NULL,
  event_id varchar(36) NOT NULL,
  idempotency_key varchar(64) UNIQUE,
  status varchar(20) NOT NULL DEFAULT 'PENDING',
  payment_status varchar(20) NOT NULL DEFAULT 'NOT_REQUIRED',
  payment_reference varchar(100),
  total_amount numeric(12, 2) NOT NULL,
  currency varchar(3) NOT NULL DEFAULT 'USD',
  seat_count int NOT NULL,
  expires_at timestamptz NOT NULL,
  confirmed_at timestamptz,
  cancelled_at timestamptz,
  cancellation_reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE booking.booking_seats (
  booking_id bigint REFERENCES booking.bookings (id) ON DELETE CASCADE, seat_number varchar(32)
);
CREATE TABLE booking.booking_metadata (
  booking_id bigint REFERENCES booking.bookings (id) ON DELETE CASCADE, name varchar(100), value text
);
CREATE TABLE booking.booking_items (
  id bigserial PRIMARY KEY, booking_id bigint REFERENCES booking.bookings (id) ON DELETE CASCADE
);
CREATE TABLE booking.booking_state_transitions (
  id bigserial PRIMARY KEY,
  transition_id uuid NOT NULL UNIQUE,
  booking_id uuid NOT NULL,
  from_state varchar(30) NOT NULL,
  to_state varchar(30) NOT NULL,
  event varchar(50),
  triggered_by varchar(100),
  reason varchar(500),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE booking.failed_compensations (
  id bigserial PRIMARY KEY,
  compensation_id uuid NOT NULL UNIQUE,
  booking_id bigint NOT NULL,
  booking_reference varchar(50) NOT NULL,
  compensation_type varchar(30) NOT NULL,
  status varchar(20) NOT NULL DEFAULT 'PENDING',
  reference_id varchar(100),
  error_message varchar(1000),
  retry_count int NOT NULL DEFAULT 0,
  max_retries int NOT NULL DEFAULT 5,
  next_retry_at timestamptz,
  last_retry_at timestamptz,
  payload text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE booking.outbox_events (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  aggregate_type varchar(50) NOT NULL,
  aggregate_id varchar(100) NOT NULL,
  event_type varchar(50) NOT NULL,
  payload jsonb NOT NULL,
  status varchar(20) NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'PUBLISHED', 'FAILED')),
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  retry_count int NOT NULL DEFAULT 0,
  last_error text
);
CREATE INDEX idx_outbox_pending ON booking.outbox_events (status, created_at) WHERE status = 'PENDING';
CREATE INDEX idx_outbox_published ON booking.outbox_events (status, published_at) WHERE status = 'PUBLISHED';
CREATE INDEX idx_outbox_aggregate ON booking.outbox_events (aggregate_type, aggregate_id);

INSERT INTO booking.bookings (booking_id, booking_reference, user_id, event_id, total_amount, seat_count, expires_at)
SELECT gen_random_uuid(), 'BK-' || n, 'U-' || n, 'E-1', 99.90, 2, now() FROM generate_series(1, 20) n;
INSERT INTO booking.outbox_events (aggregate_type, aggregate_id, event_type, payload, status, created_at, published_at)
SELECT 'BOOKING', 'B-' || n % 20, 'BOOKING_CONFIRMED', jsonb_build_object('bookingId', 'B-' || n % 20, 'n', n),
       'PUBLISHED', now() - interval '2 days' + n * interval '1 second', now() - interval '1 day'
FROM generate_series(1, 3000) n;
INSERT INTO booking.outbox_events (aggregate_type, aggregate_id, event_type, payload, status, created_at, retry_count, last_error)
SELECT 'BOOKING', 'B-' || n % 20, 'BOOKING_CANCELLED', jsonb_build_object('bookingId', 'B-' || n % 20, 'n', n),
       CASE WHEN n % 10 = 0 THEN 'FAILED' ELSE 'PENDING' END, now() - interval '1 hour' + n * interval '1 second',
       CASE WHEN n % 10 = 0 THEN 5 ELSE 0 END, CASE WHEN n % 10 = 0 THEN 'Broker not available' END
FROM generate_series(1, 2500) n;
