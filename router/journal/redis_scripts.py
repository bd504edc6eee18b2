"""What Redis decides by itself: each script is one step that nobody can come between.

Keys, all of one prefix:

    log        the stream; an entry is a batch: ID `FIRST-EPOCH`, fields n (how many records) and d (their frame)
    meta       identity, epoch, token, last (number of the last record), formats, closed_at, probe, note ("EPOCH ..."):
               what who leads left for those who stand by
    lease      who leads, with a time to live; or "for NAME": kept for a moment for whom it was given to
    snapshots  record -> snapshot

and of a house with routing domains, under the prefix of the house:

    engine:NAME  which process is called so, with a time to live

The fence is the token, never the lease and never a clock: whoever takes the lease raises the epoch and writes a token
of its own in the same step, and every later write of whoever led before is refused, however late it comes. The lease
only says when others may try.

Every script may be run twice with the same arguments, as happens when a link breaks before its answer: the second run
finds what the first did.
"""

from __future__ import annotations

import hashlib


class Script:
    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# A lease that would last longer than any is given for comes of a clock that was set back. It is cut down, or nobody
# could follow a leader that has died; one that lives renews it long before.
_HELD = """
local held = redis.call('GET', KEYS[3])
if held and held ~= ARGV[1] and held ~= 'for ' .. ARGV[3] then
  local left = redis.call('PTTL', KEYS[3])
  if left > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[3], ARGV[2])
    left = tonumber(ARGV[2])
  end
  local told = redis.call('HMGET', KEYS[2], 'last', 'identity', 'epoch', 'note')
  return {'held', held, left, told[1] or '0', told[2] or '', told[3] or '', told[4] or ''}
end
"""

# Whether the lease can be had, and how far the log is; nothing is given. ARGV: owner, lease_ms, name by which the
# caller may be given the lead
LOOK = Script(_HELD + "return {'free'}")

# ARGV: as LOOK, then nonce, identity for a new log, identity expected or "", newest format that the caller reads
TAKE = Script(
    _HELD
    + """
local found = redis.call('HMGET', KEYS[2], 'identity', 'formats')
if ARGV[6] ~= '' and found[1] ~= ARGV[6] then return {'other'} end
if found[2] and tonumber(string.match(found[2], '(%d+)$')) > tonumber(ARGV[7]) then return {'newer', found[2]} end
local new = 0
if not found[1] then
  if redis.call('EXISTS', KEYS[1]) == 1 then return {'headless'} end
  redis.call('HSET', KEYS[2], 'identity', ARGV[5], 'formats', '1:' .. ARGV[7], 'last', 0)
  new = 1
end
local token = redis.call('HINCRBY', KEYS[2], 'epoch', 1) .. ' ' .. ARGV[4]
redis.call('HSET', KEYS[2], 'token', token)
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
return {'taken', token, new}
"""
)

_FENCE = """
local token = redis.call('HGET', KEYS[2], 'token')
if token ~= ARGV[1] then return {'fenced', redis.call('GET', KEYS[3]) or ''} end
"""

# ARGV: token, last before, last after, ID, count, frame
APPEND = Script("""
local found = redis.call('HMGET', KEYS[2], 'token', 'last')
if found[1] ~= ARGV[1] then return {'fenced', redis.call('GET', KEYS[3]) or ''} end
if found[2] ~= ARGV[2] then
  if found[2] == ARGV[3] then return 'again' end
  return {'gap', found[2]}
end
redis.call('XADD', KEYS[1], ARGV[4], 'n', ARGV[5], 'd', ARGV[6])
redis.call('HSET', KEYS[2], 'last', ARGV[3])
return 'kept'
""")

# The log is in use from here on. ARGV: token, last, formats, ID of a torn entry or "", ID, count and frame of what is
# whole of it, the note for those who stand by, then snapshots that are ahead of the log.
BEGIN = Script(
    _FENCE
    + """
if ARGV[4] ~= '' then
  redis.call('XDEL', KEYS[1], ARGV[4])
  if ARGV[6] ~= '0' and #redis.call('XRANGE', KEYS[1], ARGV[5], ARGV[5]) == 0 then
    redis.call('XADD', KEYS[1], ARGV[5], 'n', ARGV[6], 'd', ARGV[7])
  end
end
redis.call('HSET', KEYS[2], 'last', ARGV[2], 'formats', ARGV[3], 'note', ARGV[8])
redis.call('HDEL', KEYS[2], 'closed_at')
for i = 9, #ARGV do redis.call('HDEL', KEYS[4], ARGV[i]) end
return 'begun'
"""
)

# ARGV: token
PROBE = Script(_FENCE + "redis.call('HINCRBY', KEYS[2], 'probe', 1)\nreturn 'kept'")

# ARGV: token, owner, lease_ms
RENEW = Script(_FENCE + "redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])\nreturn redis.call('TIME')")

# ARGV: token, owner, record at which it was closed properly or ""
RELEASE = Script(
    _FENCE
    + """
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], 'closed_at', ARGV[3]) end
if redis.call('GET', KEYS[3]) == ARGV[2] then redis.call('DEL', KEYS[3]) end
return 'released'
"""
)

# Nobody can write from here on until somebody takes the lease, and for a moment only `to` can.
# ARGV: token, to, ms, record at which the log ends
HAND_OVER = Script(
    _FENCE
    + """
redis.call('HSET', KEYS[2], 'closed_at', ARGV[4])
redis.call('HDEL', KEYS[2], 'token')
redis.call('SET', KEYS[3], 'for ' .. ARGV[2], 'PX', ARGV[3])
return 'given'
"""
)

# Who stands by says so, where a log can be handed over: one field for each in KEYS[1], when it was last heard of. Who
# was not heard of for so long is gone; a time that is still to come is of a clock that was set back, and as old.
_STANDBYS = """
local now = tonumber(redis.call('TIME')[1])
local function gone(name)
  return math.abs(now - tonumber(redis.call('HGET', KEYS[1], name))) > tonumber(ARGV[1])
end
"""

# ARGV: seconds, name
STANDS_BY = Script(
    _STANDBYS
    + """
redis.call('HSET', KEYS[1], ARGV[2], now)
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if gone(name) then redis.call('HDEL', KEYS[1], name) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 1000)
return 'noted'
"""
)

# The names of those who are not. ARGV: seconds
STANDING_BY = Script(
    _STANDBYS
    + """
local found = {}
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not gone(name) then found[#found + 1] = name end
end
return found
"""
)

# A name is kept for who has it. ARGV: mark of a process, ms; the answer is another's mark, or "".
KEEP_NAME = Script("""
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
""")

# ARGV: mark
FORGET_NAME = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'forgotten'
""")

# Keep two snapshots, and trim. A snapshot is made beside the writer from what was read a moment before, so it may be of
# records that Redis has lost since: the entry that its last record was read from must still be there.
# ARGV: identity, record, snapshot, ID of that entry or "", how many records behind the older snapshot stay or "0"
SNAPSHOT = Script("""
local found = redis.call('HMGET', KEYS[2], 'identity', 'last')
if found[1] ~= ARGV[1] or tonumber(found[2]) < tonumber(ARGV[2]) then return 'gone' end
if ARGV[4] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[4], ARGV[4]) == 0 then return 'gone' end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
local seqs = redis.call('HKEYS', KEYS[4])
table.sort(seqs, function(a, b) return tonumber(a) > tonumber(b) end)
for i = 3, #seqs do redis.call('HDEL', KEYS[4], seqs[i]) end
if ARGV[5] ~= '0' and seqs[2] then
  local first = tonumber(seqs[2]) - tonumber(ARGV[5]) + 1
  if first > 1 then
    local entry = redis.call('XREVRANGE', KEYS[1], string.format('%.0f', first), '-', 'COUNT', 1)[1]
    if entry then redis.call('XTRIM', KEYS[1], 'MINID', entry[1]) end
  end
end
return 'kept'
""")
