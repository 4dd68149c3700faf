-- Return the names of the queues that hold anything.
local found = {}
for _, queue in ipairs(list_queues()) do
  local keys = {scheduled_of(queue), leases_of(queue), returned_of(queue)}
  for _, priority in ipairs(priorities_of(queue)) do keys[#keys + 1] = list_of(line_of(queue, priority)) end
  if redis.call('EXISTS', unpack(keys)) > 0 then found[#found + 1] = queue end
end
return found
