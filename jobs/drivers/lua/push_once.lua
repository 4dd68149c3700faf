-- Store jobs of the outbox, each row once: one that was stored before under its key, which may be that of its sender and
-- its number, is left out, though it may have ended. ARGV: how many keys nobody will ask for again, these keys, how many jobs, the key of each, the jobs.
local KEPT_SECONDS = 3600
local relayed = ours .. 'relayed'
local forgotten = tonumber(ARGV[3])
for at = 4, 3 + forgotten do redis.call('ZREM', relayed, ARGV[at]) end
redis.call('ZREMRANGEBYSCORE', relayed, '-inf', stamp(present - KEPT_SECONDS))

local count = tonumber(ARGV[4 + forgotten])
local first_key = 5 + forgotten
local first = first_key + count
local last = first - 1
for number = 0, count - 1 do
  local at = first + number * FIELDS
  local key = ARGV[first_key + number]
  local is_new = redis.call('ZADD', relayed, 'NX', now, key) == 1
  if is_new and not was_sent(string.sub(key, 1, 28), '0x' .. string.sub(key, 29)) then
    for place = 0, FIELDS - 1 do ARGV[last + 1 + place] = ARGV[at + place] end
    -- What was not to wait is due now, whatever the clock of the database says.
    if tonumber(ARGV[last + 6]) <= tonumber(ARGV[last + 7]) and tonumber(ARGV[last + 6]) > present then
      ARGV[last + 6] = now
    end
    last = last + FIELDS
  end
end
for at = #ARGV, last + 1, -1 do ARGV[at] = nil end
push_all(first)
