-- Return jobs of one state, queue by queue, from a place on, and the place of the next one, or '' at the end.
-- ARGV: state, queue (or '' for all), class, text that the record holds, earliest and latest due time (each '' where it
-- doesn't matter), place, how many to return, how many to look at. Of each job: as list.lua.
-- What no job can be made of, and keys of another type, are left out, and still have a place.
local wanted, queue, class, text, earliest, latest = unpack(ARGV, 3, 8)
local place, limit, most = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local jobs, found, looked, passed = {}, 0, 0, 0

local function is_wanted(values)
  local due = to_number(values[6])
  return values[2] and (class == '' or values[2] == class) and (earliest == '' or due >= tonumber(earliest))
    and (latest == '' or due < tonumber(latest)) and (text == '' or string.find(values[3] or '', text, 1, true))
end

local function look(id, is_there)
  local values = read(id, 'queue', 'job_class', 'payload', 'priority', 'attempts', 'due', 'sequence', 'born', 'crashes',
    'worker_name', 'status')
  if not is_wanted(values) or (is_there and not is_there(values[11])) then return end
  found = found + 1
  values[9] = values[9] or '0'
  jobs[#jobs + 1] = id
  for at = 1, 10 do jobs[#jobs + 1] = values[at] or '' end
  jobs[#jobs + 1] = wanted
end

-- Walk through so many jobs of one kind; true where that is enough for this time.
local function walk(count, fetch, is_there)
  local from = math.max(place - passed, 0)
  while from < count do
    for number, id in ipairs(fetch(from, math.min(count - from, 500))) do
      if found == limit or looked == most then
        place = passed + from + number - 1
        return true
      end
      looked = looked + 1
      look(id, is_there)
    end
    from = from + 500
  end
  passed = passed + count
  return false
end

local function walk_between(key, first, last, is_there)
  if not is_of(key, 'zset') then return false end
  return walk(redis.call('ZCOUNT', key, first, last), function(from, size)
    return redis.call('ZRANGEBYSCORE', key, first, last, 'LIMIT', from, size)
  end, is_there)
end

local function has_lapsed(status) return status == 'started' end

local function walk_lists(name)
  for _, priority in ipairs(priorities_of(name)) do
    local list = list_of(line_of(name, priority))
    local size = is_of(list, 'list') and redis.call('LLEN', list) or 0
    local due = size > 0 and count_before(list, present, math.huge) or 0
    local first, count = 0, due
    if wanted == 'delayed' then first, count = due, size - due end
    if walk(count, function(from, some) return redis.call('LRANGE', list, first + from, first + from + some - 1) end) then
      return true
    end
  end
  return false
end

local function walk_queue(name)
  local scheduled, leases = scheduled_of(name), leases_of(name)
  if wanted == 'running' then return walk_between(leases, '(' .. now, '(' .. LAST) end
  if walk_lists(name) then return true end
  if wanted == 'delayed' then return walk_between(scheduled, '(' .. now, '(' .. LAST) end
  return walk_between(scheduled, '-inf', now) or walk_between(scheduled, LAST, '+inf')
    or walk_between(leases, '-inf', now, has_lapsed) or walk_between(leases, LAST, '+inf', has_lapsed)
end

local names = queue ~= '' and {queue} or list_queues()
table.sort(names)
for _, name in ipairs(names) do
  if walk_queue(name) then return {jobs, place} end
end
return {jobs, ''}
