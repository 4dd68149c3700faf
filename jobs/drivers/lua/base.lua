-- What every script begins with, and all that dispatch needs: a script makes anew what it defines, each time it runs.
-- ARGV[1]: prefix of RQ's keys; ARGV[2]: the present, or '' for the clock of the server.
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
--             ended:<thread>   how a thread of a worker ended the job that it ended last
--             pushed:<sender>  number of the job that a sender sent last (see drivers/senders.py)
--             relayed          keys of rows of the outbox that came lately, by the time of that
--             passed:<list>    how many jobs of others stand before the first of ours, where they are many, and the last
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

local function job_key(id) return rq .. ':job:' .. id end
local function line_of(queue, priority)
  if priority > 0 then return queue .. ':p' .. string.format('%d', priority) end
  return queue
end
local function list_of(line) return rq .. ':queue:' .. line end
local function scheduled_of(queue) return rq .. ':scheduled:' .. queue end
local function failed_of(queue) return rq .. ':failed:' .. queue end
local function returned_of(queue) return ours .. 'returned:' .. queue end
local function lines_of(queue) return ours .. 'lines:' .. queue end

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

-- Return due time and number of arrival of a job; what is none of ours stands before everything.
local function order_of(id)
  local values = read(id, 'due', 'sequence')
  return to_moment(values[1]), to_number(values[2])
end

-- Return how many jobs of a list, which is in order, stand before this place, and how many after it. It is looked for
-- from the end: what comes back after a wait belongs behind all that has waited for long, however much that is.
local function count_before(list, due, sequence)
  local count = redis.call('LLEN', list)
  local function is_before(place)
    local its_due, its_sequence = order_of(redis.call('LINDEX', list, place))
    return its_due < due or (its_due == due and its_sequence <= sequence)
  end
  local step, high = 1, count
  while step <= count and not is_before(count - step) do
    high = count - step
    step = step * 2
  end
  local low = math.max(count - step + 1, 0)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(middle) then low = middle + 1 else high = middle end
  end
  return low, count - low
end

-- Put a job at its place in a list that is in order. LINSERT would walk through all that stand before it.
local function insert(list, id, due, sequence)
  local before, after = count_before(list, due, sequence)
  if before == 0 then
    redis.call('LPUSH', list, id)
  elseif after > 100 then
    redis.call('LINSERT', list, 'BEFORE', redis.call('LINDEX', list, before), id)
  else
    local rest = redis.call('LRANGE', list, before, -1)
    redis.call('LTRIM', list, 0, before - 1)
    redis.call('RPUSH', list, id, unpack(rest))
  end
end

-- Note that a queue holds jobs, of this priority.
local function mention(queue, priority)
  redis.call('SADD', rq .. ':queues', list_of(line_of(queue, priority)))
  redis.call('ZADD', lines_of(queue), priority, priority)
end

-- Put a due job into the list of its queue and priority, at its place by due time and arrival.
local function enqueue(id, queue, priority, due, sequence)
  local line = line_of(queue, priority)
  local list = list_of(line)
  redis.call('HSET', job_key(id), 'status', 'queued', 'origin', line)
  redis.call('SADD', ours .. 'queues', queue)
  mention(queue, priority)
  local last = redis.call('LINDEX', list, -1)
  if last then
    local its_due, its_sequence = order_of(last)
    if its_due > due or (its_due == due and its_sequence > sequence) then
      insert(list, id, due, sequence)
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

-- Delete a job, wherever it waits or has failed.
local function delete_job(id, queue, priority)
  local line = line_of(queue, priority)
  redis.call('ZREM', failed_of(queue), id)
  if line ~= queue then redis.call('ZREM', failed_of(line), id) end
  redis.call('ZREM', scheduled_of(queue), id)
  redis.call('ZREM', returned_of(queue), id)
  redis.call('DEL', job_key(id), job_key(id) .. ':dependents', rq .. ':results:' .. id)
end

-- Put jobs that are due now behind all others of their queue and priority: none of these is due later.
local function append(line)
  local length, ids = 0, line.ids
  for at = 1, #ids, 1000 do
    length = redis.call('RPUSH', line.list, unpack(ids, at, math.min(at + 999, #ids)))
  end
  redis.call('SADD', ours .. 'queues', line.queue)
  if length == #ids then mention(line.queue, line.priority) end
end

-- Store jobs from ARGV[first] on, ten values each; one that is stored already is left as it is. A due time of '' is that
-- of now, and the job is due by the clock of the server.
local FIELDS = 10
local function push_all(first)
  local count = math.floor((#ARGV - first + 1) / FIELDS)
  local last = redis.call('INCRBY', ours .. 'sequence', count)
  local due_queues, is_named, lines, written = {}, {}, {}, {}
  for number = 1, count do
    local at = first + (number - 1) * FIELDS
    local id, queue, job_class, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local priority, due, born = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6]
    local is_at_once = due == ''
    if is_at_once then due = now end
    written[due], written[born] = written[due] or utc(due), written[born] or utc(born)
    local key = job_key(id)
    local status = redis.call('HGET', key, 'status')
    if not (status == 'queued' or status == 'scheduled' or status == 'started') then
      if status then delete_job(id, queue, priority) end
      local sequence, line = last - count + number, line_of(queue, priority)
      redis.call('HSET', key, 'data', ARGV[at + 9], 'payload', payload, 'created_at', written[born],
        'enqueued_at', written[due], 'description', job_class, 'timeout', ARGV[at + 7], 'result_ttl', '0',
        'failure_ttl', ARGV[at + 8], 'queue', queue, 'job_class', job_class, 'priority', ARGV[at + 4], 'due', due,
        'born', born, 'attempts', '0', 'lease_id', '', 'sequence', sequence, 'status', 'queued', 'origin', line)
      if is_at_once then
        local found = lines[line] or {queue = queue, priority = priority, list = list_of(line), ids = {}}
        lines[line] = found
        found.ids[#found.ids + 1] = id
      else
        await(id, queue, priority, due, sequence)
      end
      if not is_named[queue] and (is_at_once or to_number(due) <= present) then
        due_queues[#due_queues + 1] = queue
        is_named[queue] = true
      end
    end
  end
  for _, line in pairs(lines) do append(line) end
  announce(due_queues)
end

-- Say whether a sender, who counts his jobs, has sent one before: whoever heard no answer sends it again.
local function was_sent(sender, number)
  return tonumber(redis.call('GET', ours .. 'pushed:' .. sender) or '0') >= tonumber(number)
end

-- Remember for an hour what a sender has sent.
local function note_sent(sender, number) redis.call('SET', ours .. 'pushed:' .. sender, number, 'EX', 3600) end
