-- The bucket of token_bucket.py, shared by all workers, by the clock of Redis.
-- KEYS: the bucket, the workers that use it.  ARGV: command (take, pause or lower), amount, worker,
-- per second, ramp seconds, idle seconds, floor, burst seconds, recovery seconds.
-- Returns granted, milliseconds until more, share and ramp in thousandths, how many workers.
local command, amount, worker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local per_second, ramp = tonumber(ARGV[4]), tonumber(ARGV[5])
local idle, floor, burst, recovery = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'ramp_from', 'share', 'paused_until')
local tokens, at = tonumber(bucket[1] or '0'), tonumber(bucket[2] or '-1')
local ramp_from, share = tonumber(bucket[3] or '0'), tonumber(bucket[4] or '1')
local paused_until = tonumber(bucket[5] or '0')

local function ramp_share()
  if ramp <= 0 then return 1 end
  return math.min((now - ramp_from) / ramp, 1)
end
local function rate()
  return per_second * math.max(ramp_share() * share, floor)
end

if at < 0 or now - at > idle then
  ramp_from = now
  tokens = math.max(rate() * burst, 1)
else
  local elapsed = math.max(now - math.max(at, paused_until), 0)
  share = math.min(share + elapsed / recovery, 1)
  tokens = math.min(tokens + elapsed * rate(), math.max(rate() * burst, 1))
end
at = math.max(now, at)

local granted, wait = 0, 0
if command == 'pause' then
  if now >= paused_until then share = math.max(share / 2, floor) end
  paused_until = math.max(paused_until, now + amount)
  tokens = 0
elseif command == 'lower' then
  share = math.max(share * (1 - amount), floor)
elseif now >= paused_until then
  granted = math.max(math.min(amount, math.floor(tokens)), 0)
  tokens = tokens - granted
end
if now < paused_until then
  wait = paused_until - now
else
  wait = math.max(1 - tokens, 0) / rate()
end

redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(at), 'ramp_from', tostring(ramp_from),
  'share', tostring(share), 'paused_until', tostring(paused_until))
redis.call('EXPIRE', KEYS[1], math.ceil(math.max(paused_until - now, 0) + recovery + idle))
redis.call('ZADD', KEYS[2], now, worker)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 10)
redis.call('EXPIRE', KEYS[2], 60)
return { granted, math.ceil(wait * 1000), math.floor(share * 1000), math.floor(ramp_share() * 1000),
  redis.call('ZCARD', KEYS[2]) }
