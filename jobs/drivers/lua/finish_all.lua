-- Remove jobs that are done and that nothing follows. ARGV: job and lease of each. Returns how many were lost to others.
return finish_all(3, #ARGV)
