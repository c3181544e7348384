-- The visits that `demo.visits` counts, by page.
CREATE TABLE IF NOT EXISTS demo_visits (page TEXT PRIMARY KEY, visits INTEGER NOT NULL);
INSERT INTO demo_visits VALUES ('home', 0) ON CONFLICT DO NOTHING;
