-- Makes the transfers that acks.lua and both.lua need: the clients' requests, slowly, then the server's
-- first answers. The first port's file is opening.pcap, the second's answers.pcap.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local play = dofile(here .. "play.lua")
local settings = play.settings

play.main(function()
    play.ready(settings.client_port, settings.open_rate, play.SHORT, settings.flows)
    play.ready(settings.server_port, settings.open_rate, play.BLOCK, settings.flows)
    local before = play.counters()
    play.start(settings.client_port)
    play.wait(settings.client_port)
    pktgen.delay(200)
    play.start(settings.server_port)
    play.wait(settings.server_port)
    local moved = play.since(before)
    play.say("%d requests, %d reached the server", moved.client.sent, moved.server.received)
    play.say("%d first answers, %d reached the clients", moved.server.sent, moved.client.received)
end)
