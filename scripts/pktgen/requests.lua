-- A flood of read requests from many clients. The first port's file is requests.pcap.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local play = dofile(here .. "play.lua")
local settings = play.settings

play.main(function()
    play.ready(settings.client_port, settings.requests_rate, play.SHORT)
    local moved = play.measure(settings.client_port)
    play.rate("requests sent", moved.client.sent)
    play.rate("requests that reached the server", moved.server.received)
end)
