-- Return entries that were set apart because no job can be made of them. ARGV: how many.
local key = ours .. 'quarantine'
return is_of(key, 'list') and redis.call('LRANGE', key, 0, tonumber(ARGV[3]) - 1) or {}
