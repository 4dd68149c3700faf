-- What every script begins with. ARGV[1]: the present in microseconds since 1970, or '' for the clock of the server.
-- A double holds that number exactly. Keys, after `ours`: places:<key>, hits:<key>,
-- number:<key>.
local present = tonumber(ARGV[1])
if not present then
  local time = redis.call('TIME')
  present = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
-- Redis forgets a key by itself this much later than anybody asks for it.
local MARGIN = 60000

local function whole(number) return string.format('%.0f', number) end
local function places_of(key) return ours .. 'places:' .. key end
local function hits_of(key) return ours .. 'hits:' .. key end

-- Let Redis forget the places of a key once the last of them is free.
local function expire_places(name)
  local last = redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')
  if last[2] == 'inf' then
    redis.call('PERSIST', name)
  elseif last[2] then
    redis.call('PEXPIRE', name, whole(math.max((tonumber(last[2]) - present) / 1000, 0) + MARGIN))
  end
end

-- Return how long until a window has room, 0 where it has: until the oldest of its last events leaves it.
local function get_wait(key, limit, length)
  if limit == 0 then return length end
  local name, since = hits_of(key), '(' .. whole(present - length)
  local event = redis.call('ZREVRANGEBYSCORE', name, '+inf', since, 'WITHSCORES', 'LIMIT', limit - 1, 1)
  if not event[2] then return 0 end
  return math.max(tonumber(event[2]) + length - present, 1)
end
