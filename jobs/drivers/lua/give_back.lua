-- Let go of jobs that were never begun, as if they had not been claimed. ARGV: job and lease of each.
local queues, is_named = {}, {}
for at = 3, #ARGV, 2 do
  local held = get_held(ARGV[at], ARGV[at + 1])
  if held then
    let_go(held.id, held.queue, ARGV[at + 1])
    redis.call('HSET', job_key(held.id), 'lease_id', '', 'worker_name', '')
    count_down(job_key(held.id))
    await(held.id, held.queue, held.priority, held.due, held.sequence)
    if not is_named[held.queue] then
      queues[#queues + 1] = held.queue
      is_named[held.queue] = true
    end
  end
end
announce(queues)
