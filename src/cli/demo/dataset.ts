import type { Change } from "./scenario.ts";

/** The tables of an industrial IoT system, as in the published YugabyteDB example. */
export const tables = ["devices", "sensor_readings", "alerts", "maintenance_log"] as const;

/** The number of rows at the start of the demo. */
export const rowCounts: Readonly<Record<(typeof tables)[number], number>> = {
  devices: 500,
  sensor_readings: 250_000,
  alerts: 4_000,
  maintenance_log: 1_500,
};

/**
 * The statements that create and fill the tables. Readings are half a minute apart, and their `updated_at` is the time
 * of the reading, so that a sync for recent changes does not read them again. `random()` is seeded, so that each demo
 * shows the same rows.
 */
export const createStatements: readonly string[] = [
  "SELECT setseed(0.15)",
  `CREATE TABLE devices (
     device_id text PRIMARY KEY,
     device_type text NOT NULL,
     site text NOT NULL,
     firmware text NOT NULL,
     installed_on date NOT NULL,
     is_active boolean NOT NULL,
     tags text[] NOT NULL,
     updated_at timestamptz NOT NULL
   )`,
  `INSERT INTO devices
   SELECT 'device-' || lpad(n::text, 4, '0'),
          (ARRAY['compressor', 'pump', 'turbine', 'furnace', 'conveyor'])[1 + n % 5],
          (ARRAY['Rotterdam', 'Göteborg', 'Kraków', 'Bilbao'])[1 + n % 4],
          format('%s.%s.%s', 2 + n % 3, n % 10, n % 7),
          date '2019-01-07' + (n * 5) % 2000,
          n % 23 <> 0,
          ARRAY['line ' || n % 12, CASE WHEN n % 9 = 0 THEN 'critical' ELSE 'standard' END],
          now() - interval '90 days' + n * interval '1 minute'
   FROM generate_series(1, ${rowCounts.devices}) AS n`,
  `CREATE TABLE sensor_readings (
     reading_id bigint PRIMARY KEY,
     device_id text NOT NULL REFERENCES devices,
     recorded_at timestamptz NOT NULL,
     temperature double precision,
     humidity double precision,
     pressure numeric(8, 2),
     status text NOT NULL,
     metadata jsonb,
     updated_at timestamptz NOT NULL
   )`,
  `INSERT INTO sensor_readings
   SELECT n, 'device-' || lpad((1 + n % ${rowCounts.devices})::text, 4, '0'), taken, 18 + 9 * sin(n / 700.0) + random(),
          CASE WHEN n % 41 <> 0 THEN 35 + 30 * random() END,
          (1013.25 + 12 * (random() - 0.5))::numeric(8, 2),
          CASE WHEN n % 97 = 0 THEN 'warning' WHEN n % 1009 = 0 THEN 'fault' ELSE 'ok' END,
          jsonb_build_object('battery', 40 + n % 60, 'signal', -30 - n % 50, 'calibrated', n % 3 = 0),
          taken
   FROM generate_series(1, ${rowCounts.sensor_readings}) AS n,
        LATERAL (SELECT now() - interval '88 days' + n * interval '30 seconds') AS moment (taken)`,
  `CREATE TABLE alerts (
     alert_id bigint PRIMARY KEY,
     device_id text NOT NULL REFERENCES devices,
     severity text NOT NULL,
     message text NOT NULL,
     raised_at timestamptz NOT NULL,
     resolved_at timestamptz,
     updated_at timestamptz NOT NULL
   )`,
  `INSERT INTO alerts
   SELECT n, 'device-' || lpad((1 + (n * 7) % ${rowCounts.devices})::text, 4, '0'),
          (ARRAY['info', 'warning', 'critical'])[1 + n % 3],
          (ARRAY['Temperature above the limit', 'Vibration – bearing worn?', 'No reading for 10 minutes'])[1 + n % 3],
          raised, CASE WHEN n % 5 <> 0 THEN raised + interval '47 minutes' END, raised + interval '47 minutes'
   FROM generate_series(1, ${rowCounts.alerts}) AS n,
        LATERAL (SELECT now() - interval '85 days' + n * interval '30 minutes') AS moment (raised)`,
  `CREATE TABLE maintenance_log (
     maintenance_id bigint PRIMARY KEY,
     device_id text NOT NULL REFERENCES devices,
     technician text NOT NULL,
     work text NOT NULL,
     performed_on date NOT NULL,
     downtime interval NOT NULL,
     cost numeric(10, 2) NOT NULL,
     updated_at timestamptz NOT NULL
   )`,
  `INSERT INTO maintenance_log
   SELECT n, 'device-' || lpad((1 + (n * 3) % ${rowCounts.devices})::text, 4, '0'),
          (ARRAY['Ana Ibarra', 'Jürgen Weiß', 'Zofia Nowak', 'Lars Öberg'])[1 + n % 4],
          (ARRAY['inspection', 'bearing replaced', 'calibration', 'firmware update'])[1 + n % 4],
          (done)::date, (15 + n % 180) * interval '1 minute', (80 + 900 * random())::numeric(10, 2), done
   FROM generate_series(1, ${rowCounts.maintenance_log}) AS n,
        LATERAL (SELECT now() - interval '84 days' + n * interval '80 minutes') AS moment (done)`,
  "ANALYZE",
];

/** The changes in the source between the two syncs. */
export const changes: readonly (Change & {
  readonly table: (typeof tables)[number];
  readonly statement: string;
})[] = [
  {
    table: "sensor_readings",
    what: "inserted",
    rows: 1_000,
    told: "1,000 new readings",
    statement: `INSERT INTO sensor_readings
      SELECT ${rowCounts.sensor_readings} + n, 'device-0001', now(), 21.5, 48, 1012.80, 'ok', '{"battery": 99}', now()
      FROM generate_series(1, 1000) AS n`,
  },
  {
    table: "sensor_readings",
    what: "updated",
    rows: 400,
    told: "400 readings corrected",
    statement:
      "UPDATE sensor_readings SET temperature = temperature - 0.5, updated_at = now() WHERE reading_id % 600 = 0 AND reading_id <= 240000",
  },
  {
    table: "sensor_readings",
    what: "deleted",
    rows: 150,
    told: "150 readings deleted",
    statement: "DELETE FROM sensor_readings WHERE reading_id BETWEEN 120001 AND 120150",
  },
  {
    table: "devices",
    what: "updated",
    rows: 1,
    told: "a device given new firmware",
    statement: "UPDATE devices SET firmware = '5.0.0', updated_at = now() WHERE device_id = 'device-0042'",
  },
  {
    table: "alerts",
    what: "deleted",
    rows: 3,
    told: "3 alerts withdrawn",
    statement: "DELETE FROM alerts WHERE alert_id <= 3",
  },
];
