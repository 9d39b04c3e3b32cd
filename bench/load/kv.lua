-- The load: 16-byte keys, 256-byte values. method=PUT or GET and keys=N come as arguments.
local method, keys, prefix = "GET", 1000000, "/v1/kv/"
local body = string.rep("v", 256)
local thread = 0

function setup(t)
  t:set("id", thread)
  thread = thread + 1
end

function init(args)
  method = args[1] or method
  keys = tonumber(args[2]) or keys
  math.randomseed(id + 1)
end

function request()
  local path = prefix .. string.format("key-%012d", math.random(0, keys - 1))
  if method == "PUT" then
    return wrk.format("PUT", path, {["Content-Type"] = "application/octet-stream"}, body)
  end
  return wrk.format("GET", path)
end


function done(summary, latency)
  io.write(string.format("RESULT %.0f %d %d %.0f %.0f %.0f\n",
    summary.requests / (summary.duration / 1e6), summary.requests,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
