-- Asks Gatewright whether a request may pass, for Apache's mod_lua. Whatever goes wrong here is a 503 or a 500: nobody gets through.
require "apache2"
local http = require "socket.http"
local ltn12 = require "ltn12"

http.TIMEOUT = 2 -- seconds

local ADDRESS, HOST, API = os.getenv("GATEWRIGHT_VERIFY"), os.getenv("GATEWRIGHT_HOST"), os.getenv("GATEWRIGHT_API")
local WHO = {"User", "Client", "Scope", "Account", "Account-Id", "Authorization", "Decision"}
local AWAY = '{"type":"urn:gatewright:problem:unavailable","title":"The access token cannot be checked","status":503}'

local function refuse(r, status, kind, body)
    r.status = status
    r.content_type = kind or "text/plain"
    r.err_headers_out["Cache-Control"] = "no-store"
    if r.method ~= "HEAD" then r:write(body) end
    return apache2.DONE
end

-- To many servers of applications X_Name is X-Name: in neither form does a caller say who it is.
local SAME = {}
for _, name in ipairs(WHO) do
    for form in ("Gatewright-" .. name):gmatch(".+") do
        local dashes = select(2, form:gsub("-", ""))
        for bits = 1, 2 ^ dashes - 1 do
            local at = -1
            SAME[#SAME + 1] = form:gsub("-", function() at = at + 1; return math.floor(bits / 2 ^ at) % 2 == 1 and "_" or "-" end)
        end
    end
end

function verify(r)
    for _, name in ipairs(SAME) do r.headers_in[name] = nil end
    local asked = {
        ["Host"] = HOST,
        ["Gatewright-Api"] = "Basic " .. API,
        ["X-Original-Method"] = r.method,
        ["X-Original-URI"] = r.unparsed_uri,
        ["X-Original-Host"] = r.hostname,
        ["X-Forwarded-For"] = r.useragent_ip,
        ["Authorization"] = r.headers_in["Authorization"],
    }
    local said = {}
    local done, status, told = http.request {
        url = ADDRESS, method = "GET", headers = asked, sink = ltn12.sink.table(said), redirect = false,
    }
    if done and status == 200 then
        for _, name in ipairs(WHO) do
            local value = told["gatewright-" .. name:lower()]
            r.headers_in["Gatewright-" .. name] = (value ~= "") and value or nil
        end
        return apache2.OK
    end
    if done and (status == 401 or status == 403) then
        if told["www-authenticate"] then r.err_headers_out["WWW-Authenticate"] = told["www-authenticate"] end
        return refuse(r, status, told["content-type"], table.concat(said))
    end
    r:err("Gatewright was not asked or did not answer: " .. tostring(status))
    r.err_headers_out["Retry-After"] = "2"
    return refuse(r, 503, "application/problem+json", AWAY)
end
