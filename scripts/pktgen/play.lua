-- Plays the files that Pktgen was started with, and counts. Which file a port has is said on Pktgen's
-- command line and stays for the life of its process: here are rates, starts, stops and results only.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local settings = dofile(here .. "settings.lua")
local play = { settings = settings }

-- Frames as they take up the wire: FCS, preamble and gap are 24 bytes.
play.SHORT = 60 + 24
play.BLOCK = 558 + 24

-- Runs a script's body. Pktgen ends with it, even if it fails: nobody may be there to type `quit`.
function play.main(body)
    pktgen.screen("off")
    local done, why = pcall(function()
        play.check_version()
        body()
    end)
    if not done then
        pktgen.stop("all")
        play.say("failed: %s", why)
    end
    pktgen.quit()
end

-- Before 24.10 Pktgen may send packets of its own instead of the file's, or count nothing.
function play.check_version()
    local year, month = pktgen.info.Pktgen_Version:match("(%d+)%.(%d+)")
    if not year or year * 100 + month < 2410 then
        error(pktgen.info.Pktgen_Version .. " is too old, 24.10 is needed", 0)
    end
end

-- Makes a port ready to play its file: at so many packets a second of a size on the wire, or with a
-- rate of 0 as fast as they go; once through `count` packets, or without it until it is stopped.
function play.ready(port, rate, size, count)
    local link = play.speed(port)
    pktgen.pcap(play.name(port), "on")
    pktgen.set(play.name(port), "count", count or 0)
    -- Turning the file on ended any pacing, so there is none unless it is set now. Pktgen knows rates
    -- in percent of the link.
    if rate > 0 then
        local percent = math.min(100, rate * size * 8 / link * 100)
        pktgen.set(play.name(port), "rate", string.format("%.6f", percent))
    end
end

-- A link's bits a second. Waits for the link: on none Pktgen would send for ever and get nowhere.
function play.speed(port)
    for _ = 1, 100 do
        local mbits = tonumber(pktgen.linkState(play.name(port))[port]:match("^<UP%-(%d+)"))
        if mbits and mbits > 0 then
            return mbits * 1000000
        end
        pktgen.delay(100)
    end
    error("port " .. port .. " has no link", 0)
end

function play.start(port)
    pktgen.start(play.name(port))
end

-- Waits for a port that has a count of packets to send.
function play.wait(port)
    for _ = 1, 6000 do
        if pktgen.isSending(play.name(port))[port] == "n" then
            return
        end
        pktgen.delay(10)
    end
    error("port " .. port .. " did not send its packets within a minute", 0)
end

-- Lets the given ports send for the measurement's time, and answers what moved.
function play.measure(...)
    local before = play.counters()
    for _, port in ipairs({ ... }) do
        play.start(port)
    end
    pktgen.delay(math.floor(settings.seconds * 1000))
    for _, port in ipairs({ ... }) do
        pktgen.stop(play.name(port))
    end
    return play.since(before)
end

-- Both ports' counters, once they have settled: Pktgen's timer reads the devices once a second.
function play.counters()
    pktgen.delay(2500)
    return { client = play.port_counters(settings.client_port), server = play.port_counters(settings.server_port) }
end

-- `short`: of `sized` received frames, so many had Ethernet's smallest size. Some versions count each
-- frame several times there, so only their ratio means something.
function play.port_counters(port)
    local packets, sizes
    if pktgen.portSizes then -- up to 25.08
        packets = pktgen.portStats(play.name(port), "port")[port]
        sizes = pktgen.portSizes(play.name(port))[port]
    else -- since 26.02
        local stats = pktgen.portStats(play.name(port))[port]
        packets, sizes = stats.curr, stats.sizes
    end
    local sized = 0
    for size, count in pairs(sizes) do
        if size:match("^_%d") then
            sized = sized + count
        end
    end
    return { sent = packets.opackets, received = packets.ipackets, short = sizes._64, sized = sized }
end

-- What moved since `before`.
function play.since(before)
    local moved = play.counters()
    for side, counters in pairs(moved) do
        for name, value in pairs(counters) do
            counters[name] = value - before[side][name]
        end
    end
    return moved
end

function play.rate(what, packets)
    play.say("%-34s %12d  %9.3f Mpps", what, packets, packets / settings.seconds / 1000000)
end

function play.say(...)
    local line = string.format(...)
    print(line)
    if settings.results ~= "" then
        local file = assert(io.open(settings.results, "a"))
        file:write(line, "\n")
        file:close()
    end
end

-- A port as Pktgen's functions take it.
function play.name(port)
    return string.format("%d", port)
end

return play
