-- Remove jobs that are done, and take due ones. ARGV: lease, worker, how many, seconds that they are held, how many are
-- done, of each of these job and lease, then the queues in order (none: all as one).
-- Returns the jobs, ten values each and then the present, what was set apart because nothing can be made of it, and how
-- many of those done were lost to others before.
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
local function passed_of(list) return ours .. 'passed:' .. list end

local function remember(list, place)
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

-- Each list is read by a cursor. `ids` were read ahead, and the next of them is the one `at` this number. `place` entries
-- of the list stay before it, since they aren't ours, and `left` more of those are looked at in this step. What is taken
-- out of the list leaves it when all is done, and until then nothing is put into it: what stood before the first entry
-- that stays with one command (`head` says how many), since one for each costs much, and what stood behind it by its id.
local AHEAD = 16
local wanted = count
local is_open, seen = {}, {}
local ends, beat, life = stamp(present + seconds), utc(now), math.ceil(seconds) + 60

-- Return cursors for the lists of a queue, the highest priority first. A list has one, whatever names lead to it.
local function open_cursors(queue)
  local cursors = {}
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    if not is_open[list] then
      is_open[list] = true
      -- Where a job is found is where it is, whatever its hash says.
      local fields = {'queue', queue, 'priority', tostring(priority), 'status', 'started', 'origin', queue,
        'started_at', beat, 'lease_id', lease, 'worker_name', worker, 'last_heartbeat', beat}
      cursors[#cursors + 1] = {queue = queue, priority = priority, list = list, ids = {}, at = 1, place = 0,
        left = CHUNK, head = 0, gone = {}, fields = fields}
    end
  end
  return cursors
end

-- Let the entry at a cursor be removed at the end.
local function take_out(cursor)
  if cursor.place == 0 then
    cursor.head = cursor.head + 1
  else
    cursor.gone[#cursor.gone + 1] = cursor.ids[cursor.at]
  end
  cursor.at = cursor.at + 1
end

local function remove_gone(cursor)
  if cursor.head > 0 then redis.call('LTRIM', cursor.list, cursor.head, -1) end
  for _, id in ipairs(cursor.gone) do redis.call('LREM', cursor.list, 1, id) end
  cursor.head, cursor.gone = 0, {}
end

-- Return the entry at a cursor, or nothing at the end of its list.
local function look(cursor)
  local id = cursor.ids[cursor.at]
  if id then return id end
  local size = math.min(AHEAD, wanted)
  if cursor.place < NEAR then
    size = math.min(size, NEAR - cursor.place)
  elseif cursor.place == NEAR then
    remove_gone(cursor)
    cursor.place = recall(cursor.list)
  end
  local first = cursor.head + cursor.place + #cursor.gone
  cursor.ids, cursor.at = redis.call('LRANGE', cursor.list, first, first + size - 1), 1
  return cursor.ids[1]
end

-- Move a cursor to the first job of its list that may be claimed now, and return it; nothing where there is none. What
-- isn't ours is left to RQ's own workers.
local function find_first(cursor)
  local queue = cursor.queue
  while cursor.left > 0 do
    local id = look(cursor)
    if not id then
      if cursor.place == 0 then redis.call('ZREM', lines_of(queue), cursor.priority) end
      cursor.left = 0
      return nil
    end
    if seen[id] then
      take_out(cursor)  -- it stands here twice
    else
      local key = job_key(id)
      local values = redis.pcall('HMGET', key, 'job_class', 'due', 'sequence', 'status', 'data', 'payload', 'born',
        'attempts', 'crashes', 'lease_id', 'stock')
      local due = to_moment(values[2])
      if not values[1] and not values[5] then
        take_out(cursor)
        if redis.call('EXISTS', key) == 1 then set_apart(id) end
      elseif not values[1] then
        cursor.at, cursor.place, cursor.left = cursor.at + 1, cursor.place + 1, cursor.left - 1
      elseif not string.match(id, UUID) then
        take_out(cursor)
        set_apart(id)
      elseif values[4] == 'started' and tonumber(redis.call('ZSCORE', leases_of(queue), id) or '0') > present then
        take_out(cursor)  -- it stood here twice, and runs
      elseif due > present then
        take_out(cursor)
        redis.call('HSET', key, 'status', 'scheduled', 'origin', queue)
        redis.call('ZADD', scheduled_of(queue), values[2], id)
      else
        seen[id] = true
        cursor.id, cursor.key, cursor.due, cursor.values = id, key, due, values
        return cursor
      end
    end
  end
end

local function find_best(cursors)
  for _, cursor in ipairs(cursors) do
    local found = find_first(cursor)
    if found then return found end
  end
end

local taken, holds = {}, {}
local function take(cursor)
  local id, key, values, queue = cursor.id, cursor.key, cursor.values, cursor.queue
  local fields, execution = {unpack(cursor.fields)}, id .. ':' .. lease
  take_out(cursor)
  wanted = wanted - 1
  local attempts, crashes = count_try(fields, values[8], values[9], values[10])
  redis.call('HSET', key, unpack(fields))
  if values[11] then
    redis.call('HDEL', key, 'stock')
    redis.call('ZREM', returned_of(queue), id)
  end
  local hold = holds[queue]
  if not hold then
    hold = {leases = {}, executions = {}}
    holds[queue] = hold
  end
  local last = #hold.leases
  hold.leases[last + 1], hold.leases[last + 2] = ends, id
  -- Without an end: RQ fails what it finds at its end, but a lapsed job is to be tried again, which only we know.
  hold.executions[last + 1], hold.executions[last + 2] = '+inf', execution
  execution = rq .. ':execution:' .. execution
  redis.call('HSET', execution, 'id', lease, 'job_id', id, 'created_at', now, 'last_heartbeat', now,
    'worker_name', worker)
  redis.call('EXPIRE', execution, life)
  last = #taken
  taken[last + 1], taken[last + 2], taken[last + 3], taken[last + 4] = id, queue, values[1], values[6] or ''
  taken[last + 5], taken[last + 6], taken[last + 7] = tostring(cursor.priority), attempts, values[2] or ''
  taken[last + 8], taken[last + 9], taken[last + 10] = values[3] or '', values[7] or '', crashes
end

local function is_before(one, other)
  if one.priority ~= other.priority then return one.priority > other.priority end
  if one.due ~= other.due then return one.due < other.due end
  return to_number(one.values[3]) < to_number(other.values[3])
end

-- Take as many as are wanted from queues that are served as one.
local function take_from(queues)
  for _, queue in ipairs(queues) do
    check_types(queue)
    promote(queue)
    take_back(queue)
  end
  local cursors, heads = {}, {}
  for _, queue in ipairs(queues) do
    cursors[queue] = open_cursors(queue)
    heads[queue] = find_best(cursors[queue])
  end
  while wanted > 0 do
    local best = nil
    for _, head in pairs(heads) do
      if not best or is_before(head, best) then best = head end
    end
    if not best then break end
    take(best)
    local queue = best.queue
    heads[queue] = wanted > 0 and find_best(cursors[queue]) or nil
  end
  for _, opened in pairs(cursors) do
    for _, cursor in ipairs(opened) do
      remove_gone(cursor)
      remember(cursor.list, cursor.place)
    end
  end
  for queue, hold in pairs(holds) do
    call_with('ZADD', leases_of(queue), hold.leases)
    call_with('ZADD', wip_of(queue), hold.executions)
  end
end

local queues, is_all = {}, #ARGV < first_queue
for _, queue in ipairs(is_all and redis.call('SMEMBERS', ours .. 'queues') or {unpack(ARGV, first_queue)}) do
  if not paused[queue] then queues[#queues + 1] = queue end
end
if is_all then
  take_from(queues)
else
  for _, queue in ipairs(queues) do
    take_from({queue})
    if #taken > 0 then break end
  end
end
if #taken > 0 then taken[#taken + 1] = now end
return {taken, apart, lost}
