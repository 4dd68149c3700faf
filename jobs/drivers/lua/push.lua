-- Store jobs, all or none. ARGV: the jobs.
push_all(3)
return 0
