-- The request of bench/throughput.
wrk.method = "POST"
wrk.body = '{"method": "demo.hello", "parameters": {"name": "alice", "n": 41}}'
