-- The call that bench/throughput sends.
wrk.method = "POST"
wrk.body = '{"method": "demo.hello", "parameters": {"name": "alice", "n": 41}}'
