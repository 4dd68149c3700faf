-- Remove a job that is done, and store what follows it. ARGV: job, lease, the jobs that follow.
local held = get_held(ARGV[3], ARGV[4])
if not held then return 0 end
let_go(held.id, held.queue, ARGV[4])
delete_job(held.id, held.queue, held.priority)
push_all(5)
return 1
