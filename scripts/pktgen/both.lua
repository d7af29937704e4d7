-- ACKs of established transfers at full rate while a share of the packets is a flood of requests.
-- open.lua comes first. The first port's file is mixed.pcap.
--
-- Pktgen can't tell an ACK from a request, but it counts sizes, and in this file only ACKs have
-- Ethernet's smallest. Since 26.02 these counters are the card's own, which not every card has.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local play = dofile(here .. "play.lua")
local settings = play.settings

play.main(function()
    play.ready(settings.client_port, settings.acks_rate, play.SHORT)
    local moved = play.measure(settings.client_port)
    local requests = moved.client.sent * settings.share // 100
    play.rate("ACKs sent", moved.client.sent - requests)
    play.rate("requests sent", requests)
    local received = moved.server.received
    if moved.server.sized > 0 then
        local acks = math.floor(received * moved.server.short / moved.server.sized + 0.5)
        play.rate("ACKs that reached the server", acks)
        play.rate("requests that reached the server", received - acks)
    else
        play.rate("both that reached the server", received)
        play.say("This card counts no sizes: how many were ACKs is in tidegate stats.")
    end
end)
