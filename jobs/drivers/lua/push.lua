-- Store jobs, all or none, where their sender hasn't sent them before. ARGV: sender, number of the last job, the jobs.
if was_sent(ARGV[3], ARGV[4]) then return {} end
push_all(5)
note_sent(ARGV[3], ARGV[4])
return {}
