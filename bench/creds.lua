-- Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
--
-- wrk ... -s creds.lua URL -- FILE LIMIT [METHOD BODY TYPE]
-- Sends the first LIMIT lines of FILE in turn as Authorization ("-": none).
-- Each request is formatted once, before the clock starts, so that the
-- client's cost is the same for one credential and for 10,000.
local reqs, i = {}, 0

function init(args)
  local file, limit = args[1], tonumber(args[2])
  local method, body, ctype = args[3] or "GET", args[4], args[5]
  if file == "-" then
    reqs[1] = wrk.format(method, nil, { ["Content-Type"] = ctype }, body)
    return
  end
  for line in io.lines(file) do
    reqs[#reqs + 1] = wrk.format(method, nil,
      { ["Authorization"] = line, ["Content-Type"] = ctype }, body)
    if #reqs == limit then break end
  end
end

function request()
  i = i % #reqs + 1
  return reqs[i]
end

function done(s, l)
  io.write(string.format(
    'JSON:{"requests":%d,"us":%d,"p50":%d,"p99":%d,"max":%d,"errors":%d,' ..
    '"bad_status":%d}\n', s.requests, s.duration, l:percentile(50),
    l:percentile(99), l.max, s.errors.connect + s.errors.read +
    s.errors.write + s.errors.timeout, s.errors.status))
end
