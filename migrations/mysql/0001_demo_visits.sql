-- The visits that `demo.visits` counts, by page.
CREATE TABLE IF NOT EXISTS demo_visits (page VARCHAR(64) PRIMARY KEY, visits BIGINT NOT NULL);
INSERT IGNORE INTO demo_visits VALUES ('home', 0);
