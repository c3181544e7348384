-- The call that bench/run sends.
wrk.method = "POST"
wrk.body = '{"method": "demo.hello", "parameters": {"name": "alice", "n": 41}}'
