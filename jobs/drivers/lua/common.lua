-- What every script but that of dispatch begins with, after base.lua.
local CHUNK = 1000
local LONGEST_LIFE = 1000000000
local function stamp(seconds) return string.format('%.6f', seconds) end
local function wip_of(queue) return rq .. ':wip:' .. queue end
local function leases_of(queue) return ours .. 'leases:' .. queue end

-- Say whether a key is of a type, or not there.
local function is_of(key, wanted)
  local found = redis.call('TYPE', key).ok
  return found == wanted or found == 'none'
end

-- Say whether a pause with this end lasts.
local function is_lasting(ends) return ends == '' or to_number(ends) > present end

-- Return the names of all queues.
local function list_queues()
  return is_of(ours .. 'queues', 'set') and redis.call('SMEMBERS', ours .. 'queues') or {}
end

-- Return the priorities that may have a list, the highest first; RQ's own tools write to that of 0 without telling us.
local function priorities_of(queue)
  local priorities = {}
  local lines = lines_of(queue)
  for _, text in ipairs(is_of(lines, 'zset') and redis.call('ZREVRANGE', lines, 0, -1) or {}) do
    if text ~= '0' and string.match(text, '^%d%d?%d?$') then priorities[#priorities + 1] = tonumber(text) end
  end
  priorities[#priorities + 1] = 0
  return priorities
end

-- Say whether a field holds a number that can be counted up.
local function is_count(text) return string.match(text, '^%d+$') and #text < 10 end

-- Take back that a try was counted which was never begun.
local function count_down(key)
  local attempts = redis.call('HGET', key, 'attempts') or ''
  if is_count(attempts) and to_number(attempts) > 0 then redis.call('HINCRBY', key, 'attempts', -1) end
end

-- Call a command with any number of values: Lua hands over some thousand at most.
local function call_with(command, key, values)
  for at = 1, #values, CHUNK do redis.call(command, key, unpack(values, at, math.min(at + CHUNK - 1, #values))) end
end

-- Count a try, and that the one before was cut short where its lease is still there, among the fields that are to be
-- written. Returns how many tries there were before, as they are written, and how many were cut short.
local function count_try(fields, attempts, crashes, lease)
  attempts, crashes = attempts or '', crashes or '0'
  if is_count(attempts) then fields[#fields + 1], fields[#fields + 2] = 'attempts', attempts + 1 end
  if (lease or '') ~= '' and is_count(crashes) then
    crashes = string.format('%d', crashes + 1)
    fields[#fields + 1], fields[#fields + 2] = 'crashes', crashes
  end
  return attempts, crashes
end

-- Let go of a job: nobody runs it any more.
local function let_go(id, queue, lease)
  lease = lease or ''
  redis.call('ZREM', leases_of(queue), id)
  redis.call('ZREM', wip_of(queue), id .. ':' .. lease)
  redis.call('DEL', rq .. ':execution:' .. id .. ':' .. lease)
end

-- Keep for a day how a thread of a worker ended its last job: it asks again where it didn't hear our answer, and ends
-- no other one before it has heard it.
local function note_end(how, id, lease, asker)
  redis.call('SET', ours .. 'ended:' .. asker, how .. ':' .. id .. ':' .. lease, 'EX', 86400)
end

-- Return 1 where somebody asks again for the end that he has brought about, else 0.
local function has_ended(how, id, lease, asker)
  return redis.pcall('GET', ours .. 'ended:' .. asker) == how .. ':' .. id .. ':' .. lease and 1 or 0
end

-- Take a job out of its list for its holder: one whose lease has lapsed may be there again, with nobody in charge, and
-- then its last holder still is.
local function leave_list(id, queue, priority, status)
  if status == 'queued' then redis.call('LREM', list_of(line_of(queue, priority)), 0, id) end
end

-- Return queue, priority, due time, number and status of a job if its holder shows the right lease; else nothing.
local function get_held(id, lease)
  local values = redis.call('HMGET', job_key(id), 'queue', 'priority', 'due', 'sequence', 'status', 'lease_id', 'stock')
  if not values[1] or values[6] ~= lease then return nil end
  local held = {
    id = id, queue = values[1], priority = to_number(values[2]), due = values[3], sequence = to_number(values[4]),
    is_stock = values[7] == '1'
  }
  leave_list(id, held.queue, held.priority, values[5])
  return held
end

-- Hold a job until another moment, under the lease that it has.
local function hold(held, lease, ends, beat)
  redis.call('HSET', job_key(held.id), 'status', 'started', 'origin', held.queue, 'last_heartbeat', beat)
  redis.call('ZADD', leases_of(held.queue), ends, held.id)
  if held.is_stock then return end
  local execution = rq .. ':execution:' .. held.id .. ':' .. lease
  redis.call('ZADD', wip_of(held.queue), '+inf', held.id .. ':' .. lease)
  redis.call('HSET', execution, 'id', lease, 'job_id', held.id, 'created_at', now, 'last_heartbeat', now)
  redis.call('EXPIRE', execution, math.ceil(math.max(to_number(ends) - present, 0)) + 60)
end

-- Take members out of a sorted set, if it is there and is one.
local function leave_registry(key, members)
  if redis.call('TYPE', key).ok == 'zset' then call_with('ZREM', key, members) end
end

-- Remove jobs that are done and that nothing follows, a job and its lease each, from ARGV[first] to ARGV[last]. Returns
-- how many of them were lost to others before. What all of a queue leave is taken away at once.
local function finish_all(first, last)
  local lost, queues, keys = 0, {}, {}
  for at = first, last, 2 do
    local id, lease = ARGV[at], ARGV[at + 1]
    local key = job_key(id)
    local values = redis.call('HMGET', key, 'queue', 'priority', 'status', 'lease_id')
    local queue = values[1]
    if queue and values[4] == lease then
      local priority = to_number(values[2])
      leave_list(id, queue, priority, values[3])
      local ended = queues[queue]
      if not ended then
        ended = {ids = {}, executions = {}, priorities = {}}
        queues[queue] = ended
      end
      local count, execution = #ended.ids, id .. ':' .. lease
      ended.ids[count + 1], ended.executions[count + 1], ended.priorities[priority] = id, execution, true
      count = #keys
      keys[count + 1], keys[count + 2], keys[count + 3], keys[count + 4] = key, key .. ':dependents',
        rq .. ':results:' .. id, rq .. ':execution:' .. execution
    else
      lost = lost + 1
    end
  end
  for queue, ended in pairs(queues) do
    leave_registry(wip_of(queue), ended.executions)
    local registries = {leases_of(queue), scheduled_of(queue), returned_of(queue), failed_of(queue)}
    for priority in pairs(ended.priorities) do
      if priority > 0 then registries[#registries + 1] = failed_of(line_of(queue, priority)) end
    end
    for _, key in ipairs(registries) do leave_registry(key, ended.ids) end
  end
  for at = 1, #keys, CHUNK do redis.call('DEL', unpack(keys, at, math.min(at + CHUNK - 1, #keys))) end
  return lost
end
