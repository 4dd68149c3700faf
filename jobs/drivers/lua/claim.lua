-- Remove jobs that are done, and take due ones. ARGV: lease, worker, how many, seconds that they are held, how many are
-- done, of each of these job and lease, then the queues in order (none: all as one).
-- Returns the jobs, eleven values each, what was set apart because nothing can be made of it, and how many of those done
-- were lost to others before.
local lease, worker, count, seconds = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local first_queue = 8 + 2 * tonumber(ARGV[7])
local lost = finish_all(8, first_queue - 1)

local UUID = '^' .. string.gsub('8-4-4-4-12', '%d+', function(count) return string.rep('%x', count) end)
UUID = string.gsub(UUID, '-', '%%-') .. '$'
local apart = {}

-- Keep an entry of a list or registry that no job can be made of where it is in nobody's way.
local function set_apart(id)
  redis.call('RPUSH', ours .. 'quarantine', id)
  apart[#apart + 1] = id
end

-- Put a key of another type than ours out of the way.
local function check_type(key, wanted)
  if is_of(key, wanted) then return end
  redis.call('RENAME', key, ours .. 'quarantine:' .. key)
  apart[#apart + 1] = key
end

local function check_types(queue)
  for _, name_of in ipairs({lines_of, scheduled_of, leases_of, returned_of, wip_of, failed_of}) do
    check_type(name_of(queue), 'zset')
  end
  for _, priority in ipairs(priorities_of(queue)) do
    check_type(list_of(line_of(queue, priority)), 'list')
    check_type(failed_of(line_of(queue, priority)), 'zset')
  end
end

check_type(ours .. 'quarantine', 'list')
check_type(ours .. 'queues', 'set')
check_type(ours .. 'paused', 'hash')
check_type(ours .. 'relayed', 'zset')
check_type(rq .. ':queues', 'set')

local paused = {}
local pauses = redis.call('HGETALL', ours .. 'paused')
for at = 1, #pauses, 2 do
  if is_lasting(pauses[at + 1]) then paused[pauses[at]] = true end
end
if paused['*'] or count == 0 then return {{}, apart, lost} end

-- Return what a sorted set holds whose time has come, or is none.
local function list_due(key)
  local due = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, CHUNK)
  if #due == CHUNK then return due end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, LAST, '+inf', 'LIMIT', 0, CHUNK)) do due[#due + 1] = id end
  return due
end

-- Let scheduled jobs that have become due wait in their lists.
local function promote(queue)
  for _, id in ipairs(list_due(scheduled_of(queue))) do
    local values = read(id, 'job_class', 'priority', 'due', 'sequence', 'data')
    if values[1] then
      redis.call('ZREM', scheduled_of(queue), id)
      enqueue(id, queue, to_number(values[2]), to_moment(values[3]), to_number(values[4]))
    elseif not values[5] then
      redis.call('ZREM', scheduled_of(queue), id)
    end
  end
end

-- Let a job wait again, also where RQ counts it as failed, because its worker is gone.
local function recover(id, queue, values)
  local priority = to_number(values[2])
  redis.call('PERSIST', job_key(id))
  redis.call('ZREM', failed_of(queue), id)
  redis.call('ZREM', failed_of(line_of(queue, priority)), id)
  redis.call('HDEL', job_key(id), 'stock')
  await(id, queue, priority, values[3], to_number(values[4]))
end

-- Let jobs whose worker never came back wait again. The lease stays theirs until somebody claims them.
local function take_back(queue)
  for _, id in ipairs(list_due(leases_of(queue))) do
    local values = read(id, 'job_class', 'priority', 'due', 'sequence', 'status', 'lease_id')
    let_go(id, queue, values[6])
    if values[1] and values[5] ~= 'queued' then recover(id, queue, values) end
  end
  for _, id in ipairs(list_due(returned_of(queue))) do
    local values = read(id, 'job_class', 'priority', 'due', 'sequence', 'status')
    redis.call('ZREM', returned_of(queue), id)
    if values[1] and values[5] ~= 'queued' and values[5] ~= 'scheduled' then recover(id, queue, values) end
  end
end

-- Where many jobs of others stand before ours, each claim looks at so many at the head, and then goes on from where the
-- last one had come to; for ten minutes, since tools of RQ may put a job of ours before that.
local NEAR = 100
local REMEMBERED_SECONDS = 600
-- How many entries at the head of a list aren't ours, and how many more of them are looked at in this step.
local passed, left = {}, {}

local function passed_of(list) return ours .. 'passed:' .. list end

local function remember(list, place)
  passed[list] = place
  if place <= NEAR then return end
  local kept = place .. ':' .. (redis.call('LINDEX', list, place - 1) or '')
  if not redis.call('SET', passed_of(list), kept, 'XX', 'KEEPTTL') then
    redis.call('SET', passed_of(list), kept, 'EX', REMEMBERED_SECONDS)
  end
end

-- Return the place behind the last entry that was passed, also where workers of RQ have taken some from the head since.
local function recall(list)
  local kept = redis.pcall('GET', passed_of(list))
  local place, id = string.match(type(kept) == 'string' and kept or '', '^(%d+):(.*)$')
  if not place or not is_count(place) then return NEAR end
  place = tonumber(place)
  if redis.call('LINDEX', list, place - 1) ~= id then
    place = (redis.call('LPOS', list, id, 'MAXLEN', place) or -1) + 1
  end
  return math.max(place, NEAR)
end

-- Return the first job of a list that may be claimed now. What isn't ours is left to RQ's own workers.
local function find_first(list, queue, priority)
  local place = passed[list] or 0
  left[list] = left[list] or CHUNK
  while left[list] > 0 do
    if place == NEAR then place = recall(list) end
    local id = redis.call('LINDEX', list, place)
    if not id then
      if place == 0 then redis.call('ZREM', lines_of(queue), priority) end
      break
    end
    local values = read(id, 'job_class', 'due', 'sequence', 'status', 'data')
    if not values[1] and not values[5] then
      redis.call('LREM', list, 1, id)
      if redis.call('EXISTS', job_key(id)) == 1 then set_apart(id) end
    elseif not values[1] then
      place, left[list] = place + 1, left[list] - 1
    elseif not string.match(id, UUID) then
      redis.call('LREM', list, 1, id)
      set_apart(id)
    elseif values[4] == 'started' and tonumber(redis.call('ZSCORE', leases_of(queue), id) or '0') > present then
      redis.call('LREM', list, 1, id)  -- it stood here twice, and runs
    elseif to_moment(values[2]) > present then
      redis.call('LREM', list, 1, id)
      redis.call('HSET', job_key(id), 'status', 'scheduled', 'origin', queue)
      redis.call('ZADD', scheduled_of(queue), values[2], id)
    else
      remember(list, place)
      return {id = id, list = list, queue = queue, priority = priority, due = to_moment(values[2]),
        sequence = to_number(values[3])}
    end
  end
  remember(list, place)
end

local function find_best(queue)
  for _, priority in ipairs(priorities_of(queue)) do
    local found = find_first(list_of(line_of(queue, priority)), queue, priority)
    if found then return found end
  end
end

local taken = {}
local ends, beat = stamp(present + seconds), utc(now)
local function take(found)
  local id, key = found.id, job_key(found.id)
  redis.call('LREM', found.list, 1, id)
  local attempts, crashes = start_try(id)
  local values = redis.call('HMGET', key, 'payload', 'job_class', 'due', 'sequence', 'born', 'stock')
  -- Where it was found is where it is, whatever its hash says.
  redis.call('HSET', key, 'queue', found.queue, 'priority', found.priority, 'status', 'started', 'origin', found.queue,
    'started_at', beat, 'lease_id', lease, 'worker_name', worker, 'last_heartbeat', beat)
  if values[6] then
    redis.call('HDEL', key, 'stock')
    redis.call('ZREM', returned_of(found.queue), id)
  end
  redis.call('ZADD', leases_of(found.queue), ends, id)
  -- Without an end: RQ fails what it finds at its end, but a lapsed job is to be tried again, which only we know.
  redis.call('ZADD', wip_of(found.queue), '+inf', id .. ':' .. lease)
  local execution = rq .. ':execution:' .. id .. ':' .. lease
  redis.call('HSET', execution, 'id', lease, 'job_id', id, 'created_at', now, 'last_heartbeat', now,
    'worker_name', worker)
  redis.call('EXPIRE', execution, math.ceil(seconds) + 60)
  local fields = {id, found.queue, values[2] or '', values[1] or '', tostring(found.priority), attempts,
    values[3] or '', values[4] or '', values[5] or '', crashes, now}
  for _, value in ipairs(fields) do
    taken[#taken + 1] = value
  end
end

local function is_before(one, other)
  if one.priority ~= other.priority then return one.priority > other.priority end
  if one.due ~= other.due then return one.due < other.due end
  return one.sequence < other.sequence
end

local queues, is_all = {}, #ARGV < first_queue
for _, queue in ipairs(is_all and redis.call('SMEMBERS', ours .. 'queues') or {unpack(ARGV, first_queue)}) do
  if not paused[queue] then queues[#queues + 1] = queue end
end

if not is_all then
  for _, queue in ipairs(queues) do
    check_types(queue)
    promote(queue)
    take_back(queue)
    for _ = 1, count do
      local found = find_best(queue)
      if not found then break end
      take(found)
    end
    if #taken > 0 then break end
  end
  return {taken, apart, lost}
end

local heads = {}
for _, queue in ipairs(queues) do
  check_types(queue)
  promote(queue)
  take_back(queue)
  heads[queue] = find_best(queue)
end
for _ = 1, count do
  local best = nil
  for _, head in pairs(heads) do
    if not best or is_before(head, best) then best = head end
  end
  if not best then break end
  take(best)
  heads[best.queue] = find_best(best.queue)
end
return {taken, apart, lost}
