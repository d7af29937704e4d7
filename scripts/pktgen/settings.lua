-- What the scripts of this folder share: one `name = value, -- what` a line, read here by Lua and by
-- `packets`. Each can be overridden by an environment variable, PKTGEN_FLOWS for `flows`.

local settings = {
    -- Addresses: of RFC 2544's range for benchmarks, in which no real host is.
    vip = "198.18.0.100",            -- the service
    server = "198.19.0.30",          -- its only backend, played by the second port
    clients = "198.18.128.0/17",     -- the lower half has the transfers, the upper half floods
    -- Hardware addresses. Tidegate's are shown by `tidegate status`.
    client_mac = "02:00:00:00:00:c1",  -- of the first port
    server_mac = "02:00:00:00:00:30",  -- of the second port
    gate_mac_clients = "02:00:00:00:01:01",  -- Tidegate's, toward the clients
    gate_mac_servers = "02:00:00:00:01:02",  -- Tidegate's, toward the server
    -- Counts.
    flows = 8192,                    -- transfers
    requests = 16384,                -- different requests in a flood; it repeats them
    share = 10,                      -- of 100 packets in both.lua, so many are requests
    first_tid = 40000,               -- the server's first port; the next transfer has the next
    tids = 20000,                    -- so many ports, then the first again
    -- Rates, in packets a second; 0 is the link's own.
    open_rate = 20000,
    requests_rate = 0,
    acks_rate = 0,                   -- in both.lua: ACKs and requests together
    data_rate = 0,
    seconds = 10,                    -- how long a measurement takes
    -- Pktgen's numbers of its ports.
    client_port = 0,
    server_port = 1,
    results = "",                    -- a file that results are added to; empty: none
}

for name, value in pairs(settings) do
    local given = os.getenv("PKTGEN_" .. name:upper())
    if given then
        settings[name] = given
        if type(value) == "number" then
            settings[name] = tonumber(given) or error("PKTGEN_" .. name:upper() .. " is no number: " .. given)
        end
    end
end
return settings
