-- Put a job back for another try. ARGV: job, lease, who asks, when it is due, the record where it changed, or '', and 1
-- where this try was never begun.
local SAFETY = 60
local held = get_held(ARGV[3], ARGV[4])
if not held then return has_ended('release', ARGV[3], ARGV[4], ARGV[5]) end
note_end('release', held.id, ARGV[4], ARGV[5])
local key, due = job_key(held.id), ARGV[6]
redis.call('HSET', key, 'lease_id', '', 'worker_name', '', 'due', due, 'enqueued_at', utc(due))
if ARGV[7] ~= '' then redis.call('HSET', key, 'payload', ARGV[7]) end
if ARGV[8] == '1' then count_down(key) end
if held.is_stock then
  -- The worker of RQ puts it back itself, in a moment. If it dies before that, we do.
  redis.call('ZREM', leases_of(held.queue), held.id)
  redis.call('ZADD', returned_of(held.queue), stamp(present + SAFETY), held.id)
  return 1
end
let_go(held.id, held.queue, ARGV[4])
await(held.id, held.queue, held.priority, due, held.sequence)
if to_number(due) <= present then announce({held.queue}) end
return 1
