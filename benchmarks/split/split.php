<?php
// Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5:
// `php -S 127.0.0.1:PORT split.php`, one process.

function cpu(): int
{
    $used = getrusage();
    return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1000000
        + $used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec'];
}

function burn_sixty(float $scale): void
{
    $end = cpu() + 8400 * $scale;
    while (cpu() < $end) {
        for ($i = 0; $i < 2000; $i++);
    }
}

function burn_thirty(float $scale): void
{
    $end = cpu() + 4200 * $scale;
    while (cpu() < $end) {
        for ($i = 0; $i < 2000; $i++);
    }
}

function burn_ten(float $scale): void
{
    $end = cpu() + 1400 * $scale;
    while (cpu() < $end) {
        for ($i = 0; $i < 2000; $i++);
    }
}

$scale = 0.5 + mt_rand() / mt_getrandmax();
burn_sixty($scale);
burn_thirty($scale);
burn_ten($scale);
header('Content-Type: text/plain');
echo 'ok';
