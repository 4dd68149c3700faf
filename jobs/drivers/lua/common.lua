-- What every script begins with. ARGV[1]: prefix of RQ's keys; ARGV[2]: the present, or '' for the clock of the server.
-- Times are seconds since 1970 with six digits, which a double holds exactly enough to come back as the same microsecond.
--
-- RQ's keys:  <rq>:job:<id>       hash of a job, with fields of ours beside RQ's
--             <rq>:queue:<queue>  list of what is due; <queue>:p<n> of what is due with priority n > 0
--             <rq>:scheduled|wip|failed:<queue>
-- Our channel, `channel`:       names of queues that have something due, comma-separated, for workers that wait
-- Our keys (after <rq>:jobs:, which `ours` holds):
--             queues           set of queues
--             lines:<queue>    sorted set of the priorities that have a list
--             leases:<queue>   sorted set of what is in hands, by the end of the lease
--             returned:<queue> what RQ's own worker is about to put back, by the time when it must have done so
--             paused           hash of queue to end
--             sequence         number of the job that came last
--             ended:<worker>   how a worker ended the job that it ended last
--             quarantine       list of entries that no job can be made of; quarantine:<key>: a key of another type
--
-- Whoever can write to Redis can write nonsense. What the claim reads is therefore taken as text: `to_number` makes the
-- best of it, so that no script stops, and the worker sets apart what isn't as we write it.
local rq = ARGV[1]
local now = ARGV[2]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%d.%06d', tonumber(time[1]), tonumber(time[2]))
end
local present = tonumber(now)
local CHUNK = 1000
local LONGEST_LIFE = 1000000000
-- The end of the year 9999, later than which nothing is due.
local LAST = 253402300800

-- Return the number that a field holds, 0 where it holds none that can be counted with.
local function to_number(text)
  local value = tonumber(text or '')
  if not value or value ~= value or math.abs(value) == math.huge then return 0 end
  return value
end

-- Return the moment that a field holds, 0 where it holds none: what nobody can tell the due time of is due.
local function to_moment(text)
  local value = to_number(text)
  return value >= LAST and 0 or value
end

-- Say whether a key is of a type, or not there.
local function is_of(key, wanted)
  local found = redis.call('TYPE', key).ok
  return found == wanted or found == 'none'
end

-- Say whether a pause with this end lasts.
local function is_lasting(ends) return ends == '' or to_number(ends) > present end

local function stamp(seconds) return string.format('%.6f', seconds) end
local function job_key(id) return rq .. ':job:' .. id end
local function line_of(queue, priority)
  if priority > 0 then return queue .. ':p' .. string.format('%d', priority) end
  return queue
end
local function list_of(line) return rq .. ':queue:' .. line end
local function scheduled_of(queue) return rq .. ':scheduled:' .. queue end
local function wip_of(queue) return rq .. ':wip:' .. queue end
local function failed_of(queue) return rq .. ':failed:' .. queue end
local function leases_of(queue) return ours .. 'leases:' .. queue end
local function returned_of(queue) return ours .. 'returned:' .. queue end
local function lines_of(queue) return ours .. 'lines:' .. queue end

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

-- Return a moment as RQ writes it: days to a date by the civil calendar.
local function utc(text)
  local seconds, fraction = string.match(text, '^(%d+)%.?(%d*)$')
  seconds = tonumber(seconds)
  local days = math.floor(seconds / 86400) + 719468
  local rest = seconds % 86400
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%sZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, string.sub(fraction .. '000000', 1, 6))
end

-- Return fields of a job's hash; none where the key is of another type.
local function read(id, ...)
  local values = redis.pcall('HMGET', job_key(id), ...)
  return values.err and {} or values
end

-- Say whether a field holds a number that can be counted up.
local function is_count(text) return string.match(text, '^%d+$') and #text < 10 end

-- Count a try, and that the one before was cut short where its lease is still there. Returns how many tries there were
-- before, as they are written, and how many were cut short.
local function start_try(id)
  local values = read(id, 'attempts', 'crashes', 'lease_id')
  local attempts, crashes, lease = values[1] or '', values[2] or '0', values[3] or ''
  if is_count(attempts) then redis.call('HINCRBY', job_key(id), 'attempts', 1) end
  if lease ~= '' and is_count(crashes) then
    crashes = string.format('%d', redis.call('HINCRBY', job_key(id), 'crashes', 1))
  end
  return attempts, crashes
end

-- Return due time and number of arrival of a job; what is none of ours stands before everything.
local function order_of(id)
  local values = read(id, 'due', 'sequence')
  return to_moment(values[1]), to_number(values[2])
end

-- Return how many jobs of a list, which is in order, stand before this place.
local function count_before(list, due, sequence)
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local its_due, its_sequence = order_of(redis.call('LINDEX', list, middle))
    if its_due < due or (its_due == due and its_sequence <= sequence) then low = middle + 1 else high = middle end
  end
  return low
end

-- Put a due job into the list of its queue and priority, at its place by due time and arrival.
local function enqueue(id, queue, priority, due, sequence)
  local line = line_of(queue, priority)
  local list = list_of(line)
  redis.call('HSET', job_key(id), 'status', 'queued', 'origin', line)
  redis.call('SADD', rq .. ':queues', list)
  redis.call('SADD', ours .. 'queues', queue)
  redis.call('ZADD', lines_of(queue), priority, priority)
  local last = redis.call('LINDEX', list, -1)
  if last then
    local its_due, its_sequence = order_of(last)
    if its_due > due or (its_due == due and its_sequence > sequence) then
      local place = count_before(list, due, sequence)
      redis.call('LINSERT', list, 'BEFORE', redis.call('LINDEX', list, place), id)
      return
    end
  end
  redis.call('RPUSH', list, id)
end

-- Tell the workers that wait of queues that have something due. Who may not publish still stores jobs.
local function announce(queues)
  if #queues > 0 then redis.pcall('PUBLISH', channel, table.concat(queues, ',')) end
end

-- Let a job wait: in its list if it is due, in the registry of scheduled jobs until then.
local function await(id, queue, priority, due, sequence)
  if to_moment(due) <= present then
    enqueue(id, queue, priority, to_moment(due), sequence)
  else
    redis.call('HSET', job_key(id), 'status', 'scheduled', 'origin', queue)
    redis.call('ZADD', scheduled_of(queue), due, id)
    redis.call('SADD', ours .. 'queues', queue)
    redis.call('SADD', rq .. ':queues', list_of(queue))
  end
end

-- Let go of a job: nobody runs it any more.
local function let_go(id, queue, lease)
  lease = lease or ''
  redis.call('ZREM', leases_of(queue), id)
  redis.call('ZREM', wip_of(queue), id .. ':' .. lease)
  redis.call('DEL', rq .. ':execution:' .. id .. ':' .. lease)
end

-- Keep how a worker ended its last job for a day: it asks again where it didn't hear our answer.
local function note_end(how, id, lease, worker)
  redis.call('SET', ours .. 'ended:' .. worker, how .. ':' .. id .. ':' .. lease, 'EX', 86400)
end

-- Return 1 where a worker asks again for the end that it has brought about, else 0.
local function has_ended(how, id, lease, worker)
  return redis.pcall('GET', ours .. 'ended:' .. worker) == how .. ':' .. id .. ':' .. lease and 1 or 0
end

-- Delete a job, wherever it waits or has failed.
local function delete_job(id, queue, priority)
  local line = line_of(queue, priority)
  redis.call('ZREM', failed_of(queue), id)
  redis.call('ZREM', failed_of(line), id)
  redis.call('ZREM', scheduled_of(queue), id)
  redis.call('ZREM', returned_of(queue), id)
  redis.call('DEL', job_key(id), job_key(id) .. ':dependents', rq .. ':results:' .. id)
end

-- Return queue, priority, due time, number and status of a job if its holder shows the right lease; else nothing.
-- A job whose lease has lapsed may be in its list again, with nobody in charge: then its last holder still is.
local function get_held(id, lease)
  local values = redis.call('HMGET', job_key(id), 'queue', 'priority', 'due', 'sequence', 'status', 'lease_id', 'stock')
  if not values[1] or values[6] ~= lease then return nil end
  local held = {
    id = id, queue = values[1], priority = to_number(values[2]), due = values[3], sequence = to_number(values[4]),
    is_stock = values[7] == '1'
  }
  if values[5] == 'queued' then redis.call('LREM', list_of(line_of(held.queue, held.priority)), 0, id) end
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

-- Remove jobs that are done and that nothing follows, a job and its lease each, from ARGV[first] to ARGV[last]. Returns
-- how many of them were lost to others before.
local function finish_all(first, last)
  local lost = 0
  for at = first, last, 2 do
    local held = get_held(ARGV[at], ARGV[at + 1])
    if held then
      let_go(held.id, held.queue, ARGV[at + 1])
      delete_job(held.id, held.queue, held.priority)
    else
      lost = lost + 1
    end
  end
  return lost
end

-- Store jobs from ARGV[first] on, ten values each; one that is stored already is left as it is.
local FIELDS = 10
local function push_all(first)
  local count = math.floor((#ARGV - first + 1) / FIELDS)
  local last = redis.call('INCRBY', ours .. 'sequence', count)
  local due_queues, is_named = {}, {}
  for number = 1, count do
    local at = first + (number - 1) * FIELDS
    local id, queue, job_class, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local priority, due, born = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6]
    local status = redis.call('HGET', job_key(id), 'status')
    if not (status == 'queued' or status == 'scheduled' or status == 'started') then
      if status then delete_job(id, queue, priority) end
      local sequence = last - count + number
      redis.call('HSET', job_key(id), 'data', ARGV[at + 9], 'payload', payload, 'created_at', utc(born), 'enqueued_at', utc(due),
        'description', job_class, 'timeout', ARGV[at + 7], 'result_ttl', '0', 'failure_ttl', ARGV[at + 8],
        'queue', queue, 'job_class', job_class, 'priority', ARGV[at + 4], 'due', due, 'born', born,
        'attempts', '0', 'lease_id', '', 'sequence', sequence)
      await(id, queue, priority, due, sequence)
      if to_number(due) <= present and not is_named[queue] then
        due_queues[#due_queues + 1] = queue
        is_named[queue] = true
      end
    end
  end
  announce(due_queues)
end
