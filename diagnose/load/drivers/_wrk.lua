-- The requests of a scenario for wrk: wrk -s _wrk.lua URL -- DIRECTORY COUNT DEPTH THREADS
--     CONNECTIONS
--
-- DIRECTORY holds the exact bytes of COUNT requests in files 0 to COUNT-1. DEPTH of them go out in
-- one write and are answered before the next write: that is wrk's pipelining. One request is given
-- to wrk once, which then shares it between the connections of a thread; several rotate, each
-- thread starting at another one.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local data = file:read("*a")
  file:close()
  return data
end

function wrk.init(args)
  local directory, count = args[1], tonumber(args[2])
  -- Globals, for `done`, which wrk calls elsewhere.
  depth, connections = tonumber(args[3]), tonumber(args[5])
  local requests = {}
  for index = 0, count - 1 do
    requests[index] = read(directory .. "/" .. index)
  end
  local batches = {}
  for first = 0, count - 1 do
    local batch = {}
    for offset = 0, depth - 1 do
      batch[#batch + 1] = requests[(first + offset) % count]
    end
    batches[first] = table.concat(batch)
  end
  if count == 1 then
    local only = batches[0]
    wrk.request = function() return only end
    return
  end
  local at = math.floor(number * count / tonumber(args[4]))
  -- A global `request` tells wrk to ask before each write.
  function request()
    local batch = batches[at]
    at = (at + depth) % count
    return batch
  end
end

-- The latencies that were measured, by bucket, as `bucket:count ...`; '' when they cannot be had.
--
-- At the end wrk adds latencies for the requests that it thinks slow responses kept it from
-- sending: for each of n microseconds, more than two intervals, one of n - interval, one of
-- n - 2 interval and so on above one interval. From the longest down that can be taken back. Its
-- table of counts is only to be had as memory, so its header is compared with what wrk tells.
-- Source: wrk 4.1.0, stats.c and main in wrk.c. The buckets are those of our Histogram.
local function measured(summary, latency, connections)
  local found, ffi = pcall(require, "ffi")
  if not found or summary.requests == 0 then return "" end
  ffi.cdef("typedef struct { uint64_t count, limit, min, max, data[]; } latency_counts;")
  local stats = ffi.cast("latency_counts **", latency)[0]
  local low, high = tonumber(stats.min), tonumber(stats.max)
  if low ~= latency.min or high ~= latency.max or high > tonumber(stats.limit) then return "" end
  if high - low > 3e7 then return "" end
  -- Not a Lua table: with one response after ten seconds there are ten million entries.
  local counts = ffi.new("double[?]", high - low + 1)
  for value = low, high do
    counts[value - low] = tonumber(stats.data[value])
  end
  local rounds = math.floor(summary.requests / connections)
  -- Nothing was added where not every connection had a response.
  local interval = rounds > 0 and math.floor(summary.duration / rounds) or math.huge
  for value = high, math.max(low, 2 * interval), -1 do
    local count = counts[value - low]
    if count ~= 0 then
      for added = value - interval, math.max(low, interval + 1), -interval do
        counts[added - low] = counts[added - low] - count
      end
    end
  end
  local buckets, order = {}, {}
  for value = low, high do
    local count = counts[value - low]
    if count < 0 then return "" end
    if count > 0 then
      local bucket, width = 0, 1
      while math.max(value, 1) / width >= 2048 do
        bucket, width = bucket + 1024, width * 2
      end
      local index = bucket + math.floor(math.max(value, 1) / width)
      if not buckets[index] then order[#order + 1] = index end
      buckets[index] = (buckets[index] or 0) + count
    end
  end
  local words = {}
  for _, index in ipairs(order) do
    words[#words + 1] = string.format("%d:%d ", index, buckets[index])
  end
  return table.concat(words)
end

-- wrk rounds what it prints; here are its own figures, times in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "exact: depth=%d connections=%d duration=%.0f requests=%.0f bytes=%.0f connect=%.0f read=%.0f write=%.0f " ..
    "status=%.0f timeout=%.0f mean=%.3f p50=%.0f p90=%.0f p99=%.0f p999=%.0f max=%.0f end\n",
    threads[1]:get("depth"), threads[1]:get("connections"), summary.duration,
    summary.requests, summary.bytes,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency.mean, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency:percentile(99.9), latency.max
  ))
  io.write("latencies: " .. measured(summary, latency, threads[1]:get("connections")) .. "end\n")
end
