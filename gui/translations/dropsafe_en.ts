<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en" sourcelanguage="en">
<context>
    <name>Counts</name>
    <message numerus="yes">
        <source>All %Ln reason(s)</source>
        <translation>
            <numerusform>The reason</numerusform>
            <numerusform>All %Ln reasons</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln report(s)</source>
        <translation>
            <numerusform>%Ln report</numerusform>
            <numerusform>%Ln reports</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln report(s) need a person</source>
        <translation>
            <numerusform>%Ln report needs a person</numerusform>
            <numerusform>%Ln reports need a person</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln file(s) wait</source>
        <translation>
            <numerusform>%Ln file waits</numerusform>
            <numerusform>%Ln files wait</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln file(s) cannot be taken</source>
        <translation>
            <numerusform>%Ln file cannot be taken</numerusform>
            <numerusform>%Ln files cannot be taken</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln death(s)</source>
        <translation>
            <numerusform>%Ln death</numerusform>
            <numerusform>%Ln deaths</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln unexpected error(s)</source>
        <translation>
            <numerusform>%Ln unexpected error</numerusform>
            <numerusform>%Ln unexpected errors</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>tried %Ln time(s)</source>
        <translation>
            <numerusform>tried %Ln time</numerusform>
            <numerusform>tried %Ln times</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln setting(s)</source>
        <translation>
            <numerusform>%Ln setting</numerusform>
            <numerusform>%Ln settings</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%Ln line(s)</source>
        <translation>
            <numerusform>%Ln line</numerusform>
            <numerusform>%Ln lines</numerusform>
        </translation>
    </message>
</context>
</TS>
