-- ACKs of established transfers at full rate, and the server's DATA against them. open.lua comes first.
-- The first port's file is acks.pcap, the second's data.pcap.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local play = dofile(here .. "play.lua")
local settings = play.settings

play.main(function()
    play.ready(settings.client_port, settings.acks_rate, play.SHORT)
    play.ready(settings.server_port, settings.data_rate, play.BLOCK)
    local moved = play.measure(settings.client_port, settings.server_port)
    play.rate("ACKs sent", moved.client.sent)
    play.rate("ACKs that reached the server", moved.server.received)
    play.rate("DATA sent", moved.server.sent)
    play.rate("DATA that reached the clients", moved.client.received)
end)
