-- Hold jobs for a while from now on. ARGV: seconds, then job and lease of each. Returns how many are lost to others.
local seconds, lost = tonumber(ARGV[3]), 0
local ends, beat = stamp(present + seconds), utc(now)
for at = 4, #ARGV, 2 do
  local held = get_held(ARGV[at], ARGV[at + 1])
  if held then
    hold(held, ARGV[at + 1], ends, beat)
  else
    lost = lost + 1
  end
end
return lost
